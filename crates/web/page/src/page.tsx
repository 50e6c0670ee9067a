// The page that a server sends: everything it shows comes from there.
import './page.css';
import { render } from 'preact';

render(<main />, document.getElementById('page')!);
