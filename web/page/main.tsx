import { render } from "preact";

render(<p>svertka</p>, document.body);
