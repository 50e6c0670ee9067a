// The time axis of everything below it.

export function Ruler() {
  return null;
}
