// What matters most, as a number with a small curve each.

export function Cards() {
  return null;
}
