// The whole run with a brush.

export function Overview() {
  return null;
}
