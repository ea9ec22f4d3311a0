// The sign-in form. The page shows it if the server wants a token, instead of prices.
//
// After signing in, the page is loaded again: nothing that belongs to another token is left, neither
// in the page nor in its worker.

import { byId } from "./element.ts";
import * as session from "./session.ts";

/** Prepares the form and the button. `onEnd` is called when the session has ended. */
export function enableSignIn(onEnd: () => void): void {
  const form = byId("sign-in-form") as HTMLFormElement;
  const field = byId("token") as HTMLInputElement;
  const button = byId("sign-in-button") as HTMLButtonElement;
  const out = byId("sign-out");
  out.hidden = session.token() === "";

  const submit = async (): Promise<void> => {
    button.disabled = true;
    showReason("");
    const refusal = await session.signIn(field.value);
    if (refusal === "") {
      field.value = "";
      location.reload();
      return;
    }
    button.disabled = false;
    showReason(refusal);
    field.select();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!button.disabled) void submit();
  });
  out.addEventListener("click", () => {
    session.forget();
    location.reload();
  });

  session.whenEnded((reason) => {
    onEnd();
    out.hidden = true;
    document.body.dataset["access"] = "needed";
    byId("sign-in").hidden = false;
    showReason(reason);
    field.focus();
  });
  // The reader may have signed in elsewhere meanwhile, and the server then reads a cookie.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !session.hasEnded() || field.value !== "") return;
    void session.isWelcome().then((welcome) => {
      if (welcome) location.reload();
    });
  });
}

/** Shows why the server has refused a token, as a sentence. */
function showReason(reason: string): void {
  const text = reason === "" ? "" : reason.charAt(0).toUpperCase() + reason.slice(1);
  byId("refusal").textContent = text;
  byId("token").setAttribute("aria-invalid", String(text !== ""));
}
