/** The script of the pages on which people come in: sends the form, and shows what is wrong. */

const ADDRESSES = {
  "sign-in": "/api/session",
  setup: "/api/setup",
  invite: "/api/invitations/accept",
  reset: "/api/reset",
};
/** What the server says in Korean, by its code; the answers of other codes are shown as they come. */
const ENGLISH = {
  validation_failed: "Please check what you entered.",
  sign_in_failed: "The e-mail address or the password is wrong.",
  link_expired: "This link was used already, or is too old. Ask for a new one.",
  email_taken: "There is an account with this e-mail address already. Sign in with it.",
  provider_unavailable: "The sign-in server of the company cannot be reached. Try again later.",
  store_unavailable: "The server cannot reach its data. Try again later.",
};
/** What to say when the sign-in with the company's account comes back with an error, by its code. */
const RETURNED = {
  sign_in_failed: {
    en: "This account can no longer be used. Ask an administrator.",
    ko: "더는 쓸 수 없는 계정입니다. 관리자에게 물어보세요.",
  },
  not_invited: {
    en: "This account was not invited. Ask an administrator for an invitation, and begin from its link.",
    ko: "초대받지 않은 계정입니다. 관리자에게 초대를 부탁하고, 받은 링크에서 시작하세요.",
  },
  link_expired: {
    en: "The invitation was used already, is too old, or is for another e-mail address.",
    ko: "이미 쓰였거나 기한이 지났거나, 다른 이메일 주소로 보낸 초대입니다.",
  },
  email_taken: {
    en: "There is an account with this e-mail address already. Sign in with its password, or ask an administrator.",
    ko: "이 이메일 주소의 계정이 이미 있습니다. 비밀번호로 로그인하거나 관리자에게 물어보세요.",
  },
  provider_refused: {
    en: "Signing in with the company's account failed. Begin again.",
    ko: "회사 계정으로 로그인하지 못했습니다. 처음부터 다시 해 보세요.",
  },
  provider_unavailable: {
    en: "The sign-in server of the company cannot be reached. Try again later.",
    ko: "회사 계정의 로그인 서버에 닿지 않습니다. 잠시 후 다시 시도하세요.",
  },
  store_unavailable: {
    en: "The server cannot reach its data. Try again later.",
    ko: "서버가 데이터에 닿지 않습니다. 잠시 후 다시 시도하세요.",
  },
};
const FAILED = { en: "That did not work.", ko: "하지 못했습니다." };
const CUT_OFF = {
  en: "This link is incomplete. Open the whole link that you were given.",
  ko: "링크가 잘렸습니다. 받은 링크 전체를 여세요.",
};
const TOO_MANY = {
  en: (minutes) => `Too many attempts. Try again in ${minutes} min.`,
  ko: (minutes) => `시도가 너무 많았습니다. ${minutes}분 뒤에 다시 해 보세요.`,
};

const { lang } = document.documentElement;
const { page } = document.body.dataset;
const [form] = document.forms;
const asMe = document.getElementById("as-me");
const signOut = document.getElementById("sign-out");
const failure = document.querySelector("[role=alert]");
const token = location.hash.slice(1);

function show(code, message) {
  failure.textContent = (lang === "en" && ENGLISH[code]) || message || FAILED[lang];
  failure.hidden = false;
}

function tell({ error, message }, headers) {
  if (error === "too_many_requests") show("", TOO_MANY[lang](Math.ceil(headers.get("Retry-After") / 60)));
  else if (page === "invite" && error === "link_expired") show("", RETURNED.link_expired[lang]);
  else show(error, message);
}

async function ask(method, address, fields) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(address, { method, headers, body: fields && JSON.stringify(fields) });
  const answered = await answer.json();
  if (!answer.ok) tell(answered, answer.headers);
  return answer.ok && answered;
}

async function send(fields) {
  if (await ask("POST", ADDRESSES[page], page === "sign-in" ? fields : { token, ...fields })) location.replace("/");
}

async function endSession() {
  if (await ask("DELETE", ADDRESSES[page])) location.replace("/sign-in");
}

/** Sign in with the provider, and accept the invitation thereby: its secret goes into a cookie. */
async function acceptWithProvider(event) {
  event.preventDefault();
  failure.hidden = true;
  try {
    const begun = await ask("POST", "/auth/oidc", { token });
    if (begun) location.assign(begun.url);
  } catch {
    show("", "");
  }
}

function onSubmit(submitted, act) {
  submitted?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = submitted.querySelector("button");
    button.disabled = true;
    failure.hidden = true;
    try {
      await act();
    } catch {
      show("", "");
    }
    // What went well opens another page; a second press before it is there would find the link spent.
    button.disabled = failure.hidden;
  });
}

onSubmit(form, () => send(Object.fromEntries(new FormData(form))));
onSubmit(asMe, () => send({}));
onSubmit(signOut, endSession);
if (page === "invite") document.getElementById("with-provider")?.addEventListener("click", acceptWithProvider);
addEventListener("hashchange", () => location.reload());
const returned = new URLSearchParams(location.search).get("error");
if (page !== "sign-in" && !token) show("", CUT_OFF[lang]);
if (returned) show("", Object.hasOwn(RETURNED, returned) && RETURNED[returned][lang]);
