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

// A share as a percentage.
export const percent = (share) => `${number(share * 100)} %`;

// A name within a sentence: it may run from right to left.
export const isolated = (name) => `\u2068${name}\u2069`;

// A probability as on the server: no number is closer to certainty than the model's calibration can tell.
export function probability(value) {
  if (value < 0.01) return `under ${percent(0.01)}`;
  return value > 0.99 ? `over ${percent(0.99)}` : percent(value);
}

// Reformats numbers that the server rendered without knowing the locale.
export function localise(root) {
  for (const element of root.querySelectorAll("[data-number]")) {
    const value = Number(element.textContent);
    if (element.textContent && Number.isFinite(value)) element.textContent = number(value, Number(element.dataset.number));
  }
}
