/** The page's first script, small enough to run long before the others are there. */

import { askEarly } from "./api/early";

askEarly();
