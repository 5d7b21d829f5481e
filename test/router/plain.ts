/** The plain oracle of the router's tests: whether a filter matches a topic, by the words of MQTT 5.0 section 4.7. */
export function isMatch(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const levels = topic.split("/");
  if (topic.startsWith("$") && (wanted[0] === "+" || wanted[0] === "#")) return false;
  for (const [index, name] of wanted.entries()) {
    if (name === "#") return true;
    if (index >= levels.length || (name !== "+" && name !== levels[index])) return false;
    if (index === levels.length - 1 && wanted.length === index + 2 && wanted[index + 1] === "#") return true;
  }
  return wanted.length === levels.length;
}
