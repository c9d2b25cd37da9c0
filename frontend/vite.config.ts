import { defineConfig } from "vite";
import { WORKER, weight } from "./weight";

// The development server hands API calls to a running BFF. Log in once at the BFF's own address: the
// session cookie does not depend on the port, so the page served from here is logged in as well.
const bff = process.env["BIONICPRO_BFF_URL"] ?? "http://127.0.0.1:8000";
const toBff = { target: bff, changeOrigin: true, headers: { origin: new URL(bff).origin } };

export default defineConfig({
  plugins: [weight()],
  build: {
    target: "es2023",
    // The content security policy allows nothing inline, data: addresses included.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { begin: "src/begin.ts", index: "index.html", sw: "src/worker/sw.ts" },
      // A service worker rules over what lies below its own address.
      output: {
        entryFileNames: ({ name }) => (name === WORKER ? `${WORKER}.js` : "assets/[name]-[hash].js"),
      },
    },
  },
  server: { host: "127.0.0.1", proxy: { "/auth": toBff, "/reports": toBff, "/users": toBff } },
});
