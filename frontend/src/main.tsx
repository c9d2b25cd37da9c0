import "./begin";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { answeredEarly } from "./api/early";
import { Announcer } from "./components/Announcer";
import { CrashNotice } from "./components/CrashNotice";
import { LanguageProvider } from "./i18n/LanguageContext";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/layout.css";
import "./styles/card.css";
import "./styles/history.css";
import "./styles/pages.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
createRoot(root).render(
  <StrictMode>
    <LanguageProvider>
      <CrashNotice>
        <Announcer>
          <App />
        </Announcer>
      </CrashNotice>
    </LanguageProvider>
  </StrictMode>,
);

// Only a built page has a worker; without one the page works as well, but for opening without a network.
// It fetches all of the page's files, and so begins once the first answers are there.
if (import.meta.env.PROD && "serviceWorker" in navigator) {
  answeredEarly()
    .then(() => navigator.serviceWorker.register("/sw.js"))
    .catch(() => undefined);
}
