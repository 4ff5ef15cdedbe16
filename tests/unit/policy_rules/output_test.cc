// Outputs of rules: as text, and as Falco's JSON.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policy/rules/alert.h"
#include "policy/rules/output_format.h"
#include "tests/unit/policy_rules/scene.h"

namespace sluice::policy::rules {
namespace {

std::string OutputOf(const std::string& format, const Event& event) {
  auto parsed = OutputFormat::Parse(format);
  if (const auto* error = std::get_if<ConditionError>(&parsed)) return "error: " + error->what;
  return std::get<OutputFormat>(parsed).ToText(event);
}

struct Shown {
  const char* format;
  const char* text;
};

TEST(Output, ShowsValues) {
  const Scene scene;
  for (const Shown& one : std::initializer_list<Shown>{
           {"plain", "plain"},
           {"user=%user.name tty=%proc.tty", "user=root tty=34816"},
           {"*%proc.name", "bash"},
           {"%proc.name%proc.pname", "bashnginx"},
           {"(%proc.name)", "(bash)"},
           {"%proc.name.", "bash."},
           {"%proc.name.txt", "bash.txt"},
           {"%proc.name[x", "bash[x"},
           {"%proc.aname[2] %proc.aname[9]", "systemd <NA>"},
           {"%proc.aname", "nginx->systemd"},
           {"%container.name", "<NA>"},
           {"%10proc.name|", "bash      |"},
           {"%2proc.name|", "ba|"},
           {"%toupper(proc.name)", "BASH"},
           {"%10toupper(proc.name)|", "BASH      |"},
           {"%concat(proc.name, '-', proc.pname)", "bash-nginx"},
           {"%len(proc.name)", "4"},
           {"%evt.is_open_read %evt.rawres %user.loginuid", "true 3 -1"},
           {"%evt.arg.flags %evt.arg[0]", "O_RDONLY|O_CLOEXEC 3(<f>/etc/shadow)"},
           {"%evt.time", "09:40:10.123456789"},
           {"%container.mount.dest[/etc]", "/e"},
           {"%proc.env[HOME]", "/root"},
           {"%evt.typeish", "error: after %: there is no field evt.typeish"},
           {"", "error: the output is empty"},
           {"100%", "error: the output ends where a field should be"},
           {"%%", "error: after %: a field should be here"},
           {"%5", "error: the output ends where a field should be"},
           {"%99999proc.name", "error: a width is at most 10000"},
           {"%no.field", "error: after %: there is no field no.field"},
           {"%fd.net", "error: after %: field fd.net has no value of its own: it is only for conditions"},
           {"%container.mount.dest", "error: after %: field container.mount.dest needs an argument: [N] or [PATTERN]"},
       }) {
    const std::string text = OutputOf(one.format, scene.event);
    // Of errors, the beginning.
    const std::size_t length = text.starts_with("error") ? std::string_view(one.text).size() : text.size();
    EXPECT_EQ(text.substr(0, length), one.text) << one.format << "\n" << text;
  }
}

Rule RuleWith(const std::string& output) {
  Rule rule;
  rule.name = "A shell";
  rule.source = "syscall";
  rule.priority = Priority::kCritical;
  rule.tags = {"container", "shell"};
  rule.output = std::get<OutputFormat>(OutputFormat::Parse(output));
  return rule;
}

TEST(Output, JsonHasFalcosShape) {
  Scene scene;
  const Rule rule = RuleWith(
      "Shell %proc.name | %user.uid %evt.is_open_read %container.name %toupper(proc.pname) %evt.rawres %fd.num");
  const auto json = nlohmann::json::parse(AlertJson(MakeAlert(rule, scene.event)));
  EXPECT_EQ(json, nlohmann::json::parse(R"({
    "hostname": "node-1",
    "output": "09:40:10.123456789: Critical Shell bash | 0 true <NA> NGINX 3 3",
    "output_fields": {"evt.time": 1764582010123456789, "proc.name": "bash", "proc.pname": "nginx", "user.uid": 0,
                      "evt.is_open_read": true, "container.name": null, "evt.rawres": 3, "fd.num": 3},
    "priority": "Critical",
    "rule": "A shell",
    "source": "syscall",
    "tags": ["container", "shell"],
    "time": "2025-12-01T09:40:10.123456789Z"})"));
  scene.event.result = -2;
  const AlertOptions few = {.iso_time = true, .output = false, .tags = false, .message = true};
  const auto other = nlohmann::json::parse(AlertJson(MakeAlert(RuleWith("%evt.rawres %fd.num"), scene.event), few));
  EXPECT_EQ(other["message"], "-2 3");
  EXPECT_EQ(other["output_fields"]["evt.rawres"], -2);
  EXPECT_EQ(other["output_fields"]["evt.time.iso8601"], 1764582010123456789);
  EXPECT_FALSE(other.contains("output"));
  EXPECT_FALSE(other.contains("tags"));
}

TEST(Output, BytesThatAreNoTextDoNotBreakIt) {
  Scene scene;
  scene.shell.name = "a\xff\n\"b";
  const Rule rule = RuleWith("%proc.name");
  EXPECT_EQ(AlertText(MakeAlert(rule, scene.event)), "09:40:10.123456789: Critical a\xef\xbf\xbd\\n\\\"b");
  const auto json = nlohmann::json::parse(AlertJson(MakeAlert(rule, scene.event)));
  EXPECT_EQ(json["output_fields"]["proc.name"], "a\xef\xbf\xbd\n\"b");
}

TEST(Output, PrioritiesAreReadInAnyCase) {
  EXPECT_EQ(ParsePriority("WARNING"), Priority::kWarning);
  EXPECT_EQ(ParsePriority("info"), Priority::kInformational);
  EXPECT_EQ(ParsePriority("Informational"), Priority::kInformational);
  EXPECT_FALSE(ParsePriority("warn"));
  EXPECT_EQ(NameOf(Priority::kEmergency), "Emergency");
}

}  // namespace
}  // namespace sluice::policy::rules
