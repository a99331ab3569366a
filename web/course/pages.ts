/** The pages of the course, in its order. */
import type { CoursePage } from "./page";
import { convolution } from "./pages/convolution";
import { correlation } from "./pages/correlation";
import { pooling } from "./pages/pooling";
import { sizes } from "./pages/sizes";

export const PAGES: readonly CoursePage[] = [convolution, correlation, sizes, pooling];
