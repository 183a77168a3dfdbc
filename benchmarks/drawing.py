"""How smooth is the drawing? python -m benchmarks.drawing

A thousand ticks of two layers of 512 units, drawn alone in Chromium: the time from frame to
frame while they stream in, five a frame, and while one scrolls from end to end. The last
line is one JSON object; times are in milliseconds.
"""

import json

from demos.views.trace import step_line
from tests.serving import chromium
from tests.test_unrolled import draw, made_up

FRAMES = """async (work) => {
  const frames = [];
  let last = performance.now(), most = 0;
  for (let i = 0; work(i); i += 1) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
    most = Math.max(most, document.querySelectorAll('.unrolled *').length);
  }
  frames.sort((a, b) => a - b);
  const at = (share) => Number(frames[Math.floor(share * (frames.length - 1))].toFixed(1));
  return {frames: frames.length, median: at(0.5), p95: at(0.95), worst: at(1), nodes: most};
}"""
SCROLL = f"""async () => {{
  const scroller = document.querySelector('.scroller');
  view.select(0);
  return ({FRAMES})((i) => {{ scroller.scrollLeft = i * 160; return i * 160 < scroller.scrollWidth; }});
}}"""
STREAM = f"""async (lines) => {{
  const records = lines.map((line) => JSON.parse(line));
  return ({FRAMES})((i) => {{ view.append(records.slice(5 * i, 5 * i + 5)); return 5 * i < records.length; }});
}}"""


def main() -> None:
    """Print the times."""
    steps = made_up("R" * 14 + "B" + "W" * 985, list("abc\n "), units=512)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        draw(page, "R*BW*", steps)
        scroll = page.evaluate(SCROLL)
        stream = page.evaluate(STREAM, [step_line(step) for step in steps])
    print(json.dumps({"ticks": len(steps), "scroll": scroll, "stream": stream}))


if __name__ == "__main__":
    main()
