// Numbers in the reader's locale.

const formats = new Map();

export function number(value, digits = 0) {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format.format(value);
}

// Reformats numbers that the server rendered without knowing the locale.
export function localise(root) {
  for (const element of root.querySelectorAll("[data-number]")) {
    const value = Number(element.textContent);
    if (element.textContent && Number.isFinite(value)) element.textContent = number(value, Number(element.dataset.number));
  }
}
