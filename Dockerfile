# docker build --tag rnn-gallery .
# docker run --rm --read-only --tmpfs /tmp --publish 7860:7860 rnn-gallery
#
# PyTorch's builds for processors without a graphics card are gigabytes smaller. To take them, name
# their index as pip does: --build-arg PIP_EXTRA_INDEX_URL=…
FROM python:3.11.14-slim-bookworm

ARG PIP_EXTRA_INDEX_URL
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    HOME=/tmp

WORKDIR /gallery
COPY requirements.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt

COPY app.py README.md README.zh-CN.md LICENSE ./
COPY hosting/__init__.py hosting/guard.py hosting/
COPY models models
COPY demos demos

RUN useradd --uid 1000 --no-create-home gallery
USER 1000:1000

EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"GRADIO_SERVER_PORT\"]}/gradio_api/app_id', timeout=4)"]
CMD ["python", "app.py"]
