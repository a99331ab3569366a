/** The pages of the course, in its order. */
import type { CoursePage } from "./page";
import { channels } from "./pages/channels";
import { convolution } from "./pages/convolution";
import { correlation } from "./pages/correlation";
import { filters } from "./pages/filters";
import { learning } from "./pages/learning";
import { pooling } from "./pages/pooling";
import { sizes } from "./pages/sizes";

export const PAGES: readonly CoursePage[] = [convolution, correlation, sizes, channels, pooling, filters, learning];
