/** The course's site; see `course/site.py` for what it is written into. */
import { render } from "preact";
import { App } from "./app";
import "./course.css";
import { readData } from "./data";

render(<App data={readData()} />, document.getElementById("page")!);
