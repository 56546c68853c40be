// Where nobody knows the country, the device's time zone lets the server guess it, once; the page says that it is a guess.

const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
const here = new URL(location);

if (timeZone && !here.searchParams.has("zone")) {
  here.searchParams.set("zone", timeZone);
  location.replace(here);
}
