// Making elements and text. Text from the dataset is only ever set as text, never as markup.

export const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

export const number = (value, digits = 4) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return String(value).replace("-", "−");
  const text = size >= 1e6 || size < 1e-3 ? value.toExponential(digits - 2) : value.toPrecision(digits);
  return text.replace("-", "−");
};

export const count = (value) => value.toLocaleString("en");

export const seconds = (value) => {
  const minutes = Math.floor(value / 60);
  const rest = value - 60 * minutes;
  return minutes ? `${minutes}:${rest.toFixed(1).padStart(4, "0")} min` : `${rest.toFixed(1)} s`;
};

export const duration = (hours) => (hours >= 1 ? `${hours.toFixed(hours < 10 ? 1 : 0)} h` : `${(60 * hours).toFixed(1)} min`);

export const short = (camera) => camera.replace(/^observation\.images\./, "");

export const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
