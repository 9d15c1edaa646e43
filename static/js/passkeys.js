// Makes and shows passkeys. Where a browser has none, or this file is missing, passwords and codes are still there.

// What the server asks the browser for: in the page, or, where nobody has said yet who they are, at the form's address.
async function wanted(form) {
  if (form.dataset.options) return JSON.parse(document.getElementById(form.dataset.options).textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  return answer.json();
}

async function made(form) {
  const { creation_options: options } = await wanted(form);
  const chosen = options.publicKey.authenticatorSelection;
  const alone = form.elements.passwordless.checked;
  chosen.residentKey = alone ? "required" : "discouraged";
  chosen.requireResidentKey = alone;
  if (alone) chosen.userVerification = "required";
  return window.webauthnJSON.create(options);
}

async function shown(form) {
  return window.webauthnJSON.get((await wanted(form)).request_options);
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (window.PublicKeyCredential) form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const failed = form.querySelector("[data-failed]");
    failed.hidden = true;
    try {
      const credential = await (form.dataset.passkey === "add" ? made(form) : shown(form));
      form.elements.credential.value = JSON.stringify(credential);
    } catch {
      // Cancelled, timed out, or no passkey of this site there: browsers do not say which.
      failed.hidden = false;
      return;
    }
    form.submit();
  });
}
