// What is wrong with how the page lies on the screen, as a list of sentences.
(() => {
  const faults = new Set();
  const root = document.documentElement;
  const close = 1; // a pixel of rounding

  if (root.scrollWidth > root.clientWidth) faults.add(`the page scrolls sideways: ${root.scrollWidth} in ${root.clientWidth} px`);

  const rgb = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = rgb(colour).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((rgb(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let text; (text = texts.nextNode());) {
    const element = text.parentElement;
    if (!text.data.trim() || !element.checkVisibility()) continue;
    const ratio = contrast(luminance(getComputedStyle(element).color), luminance(paper(element)));
    if (ratio < 4.5) faults.add(`the contrast of "${text.data.trim()}" is ${ratio.toFixed(2)}`);
    for (const word of text.data.matchAll(/[^\s-]+/g)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const lines = [...range.getClientRects()];
      if (lines.some((line) => line.left < -close || line.right > root.clientWidth + close)) {
        faults.add(`"${word[0]}" reaches beyond the screen`);
      }
      const ordinary = word[0].length <= 16 && !element.closest("code");
      if (ordinary && new Set(lines.map((line) => Math.round(line.top))).size > 1) faults.add(`"${word[0]}" is broken in two`);
    }
    if (element.matches(".picture *")) {
      range.selectNode(text);
      const name = range.getBoundingClientRect(), box = element.getBoundingClientRect();
      if (name.left < box.left - close || name.right > box.right + close) faults.add(`"${text.data}" is wider than its box`);
    }
  }

  for (const button of document.querySelectorAll("button")) {
    const { width, height } = button.getBoundingClientRect();
    if (width < 24 || height < 24) faults.add(`"${button.textContent}" is only ${width} × ${height} px`);
  }
  return [...faults];
})();
