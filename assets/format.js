// Numbers as the reader writes them.

const formats = new Map();

export function number(value, digits = 0) {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format.format(value);
}

// What the server wrote, which knows no reader.
export function localise(root) {
  for (const element of root.querySelectorAll("[data-number]")) {
    const value = Number(element.textContent);
    if (element.textContent && Number.isFinite(value)) element.textContent = number(value, Number(element.dataset.number));
  }
}
