// The top line: what run this is, its state, and how it is looked at.
import type { ComponentChildren } from 'preact';

export function Header({ children }: { children: ComponentChildren }) {
  return <header class="header">{children}</header>;
}
