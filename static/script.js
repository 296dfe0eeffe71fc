// The page works without this file. It only adds: a button that visits 25 times at once, a fresh count after Back, and
// the way back from an instance that was stopped.
(() => {
  "use strict";

  const many = 25;
  const find = (id, root = document) => root.getElementById(id);
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  // make creates an element that holds text and other elements.
  const make = (name, ...content) => {
    const element = document.createElement(name);
    element.append(...content);
    return element;
  };

  // A page that comes out of the back/forward cache shows an old count.
  addEventListener("pageshow", (event) => {
    if (event.persisted && find("visits")) location.reload();
  });

  // The button "Visit again" is a form without fields, which leaves a lone question mark in the address.
  if (location.href.endsWith("/?")) history.replaceState(null, "", "/");

  if (find("waiting")) comeBack();
  if (find("actions")) addButton();

  // comeBack waits until the app can count again. /readyz counts nothing.
  async function comeBack() {
    const words = find("todo").nextElementSibling;
    words.textContent = words.textContent.replace("Go back to the counter in a moment.",
      "This page goes back to the counter by itself, as soon as the app is ready.");
    for (let ready = false; !ready;) {
      await pause(3000);
      ready = await fetch("/readyz", { cache: "no-store" }).then((answer) => answer.ok, () => false);
    }
    location.replace("/");
  }

  function addButton() {
    const button = make("button", `Visit ${many} times at once`);
    const report = make("div");
    button.type = "button";
    report.id = "burst";
    report.setAttribute("role", "status");
    find("actions").firstElementChild.after(button);
    find("actions").after(report);
    button.addEventListener("click", async () => {
      if (button.hasAttribute("aria-disabled")) return;
      button.setAttribute("aria-disabled", "true"); // not disabled, which would lose the focus
      await burst(button, report);
      button.removeAttribute("aria-disabled");
    });
  }

  // burst makes the visits and then shows the page of the one that came last, as Redis has ordered them.
  async function burst(button, report) {
    const before = Number(find("visits").textContent);
    const progress = make("progress");
    progress.max = many;
    progress.value = 0;
    progress.setAttribute("aria-label", "Visits answered");
    button.after(progress);
    report.replaceChildren(`${many} visits are under way.`);
    const answers = await Promise.all(Array.from({ length: many }, async () => {
      const answer = await visit();
      progress.value++;
      return answer;
    }));
    progress.remove();

    const counted = answers.filter((answer) => answer.visits > 0);
    const last = counted.reduce((a, b) => (b.visits > a.visits ? b : a), { visits: 0 });
    if (last.page) {
      for (const id of ["said", "ledger", "way", "look"]) {
        find(id).replaceWith(document.importNode(find(id, last.page), true));
      }
      document.title = last.page.title;
    }
    report.replaceChildren(...result(before, counted, last.visits, answers.find((answer) => answer.wrong)));
  }

  // visit makes one visit and reads the page it gets: its count and instance, or what is wrong.
  async function visit() {
    try {
      const answer = await fetch("/", { headers: { Accept: "text/html" }, cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok) {
        const words = [...page.querySelectorAll(".wrong, .safe")].map((element) => element.textContent);
        return { wrong: words.join(" ") || `The answer was ${answer.status}.` };
      }
      return { page, visits: Number(find("visits", page).textContent), instance: page.querySelector("[data-instance]").dataset.instance };
    } catch {
      return { wrong: "The app could not be reached." };
    }
  }

  function result(before, counted, after, failure) {
    const parts = [];
    if (counted.length > 0) {
      const lost = Math.max(before + counted.length - after, 0);
      const figures = make("dl");
      for (const [name, figure] of [["At once", counted.length], ["Before", before], ["After", after], ["Lost", lost]]) {
        figures.append(make("div", make("dt", name), " ", make("dd", figure), " "));
      }
      const served = new Map();
      for (const { instance } of counted) served.set(instance, (served.get(instance) ?? 0) + 1);
      const names = [...served].sort().map(([instance, n]) => `${instance} (${n})`);
      parts.push(figures, make("p", verdict(before, counted.length, after), ` Answered by ${names.join(", ")}.`));
    }
    if (failure) {
      parts.push(make("p", make("strong", `${many - counted.length} of ${many} visits failed. `), failure.wrong));
    }
    return parts;
  }

  function verdict(before, counted, after) {
    const rise = after - before;
    if (rise === counted) return `The count rose by exactly ${counted}.`;
    if (rise > counted) return `The count rose by ${rise}: someone else visited in this session meanwhile.`;
    return `The count should say ${before + counted}, and says ${after}.`;
  }
})();
