// The report that is one file: everything it shows is in it.
import './page.css';
import { render } from 'preact';

render(<main />, document.getElementById('page')!);
