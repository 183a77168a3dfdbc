// Text to the clipboard; whether it is there. Without a secure address (a hall that opens the lecturer's
// computer) there is only the old way: a text that is selected for a moment. `near` is where that text may
// stand: inside a dialog nothing outside of it can be selected.
async function copyText(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const box = document.createElement("textarea");
    box.value = text;
    box.style.position = "fixed"; // the page does not scroll to it
    near.append(box);
    box.select();
    const copied = document.execCommand("copy");
    box.remove();
    focused?.focus();
    return copied;
  }
}
