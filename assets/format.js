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

// A probability as on the server: no number is closer to certainty than the model's calibration can tell.
export function probability(value) {
  const percent = value * 100;
  if (percent < 1) return `under ${number(1)} %`;
  return percent > 99 ? `over ${number(99)} %` : `${number(percent)} %`;
}

// Reformats numbers that the server rendered without knowing the locale.
export function localise(root) {
  for (const element of root.querySelectorAll("[data-number]")) {
    const value = Number(element.textContent);
    if (element.textContent && Number.isFinite(value)) element.textContent = number(value, Number(element.dataset.number));
  }
}
