// The keys and gestures that there are.

export function Help() {
  return null;
}
