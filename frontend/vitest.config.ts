import { defineConfig } from "vitest/config";

// Apart from vite.config.ts, so that a build needs no test tools installed (npm ci --omit=dev).
export default defineConfig({
  test: { include: ["tests/**/*.test.{ts,tsx}"], environment: "node", testTimeout: 10_000 },
});
