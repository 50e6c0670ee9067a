// Spans as slices and events as flags, above the charts.

export function Lanes() {
  return null;
}
