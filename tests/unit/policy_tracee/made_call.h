// One call of a process, as sensors would tell it, and the rules that it meets.
#pragma once

#include <string>
#include <vector>

#include "policy/rules/event.h"
#include "policy/rules/ruleset.h"

namespace sluice::policy::tracee {

struct Made {
  explicit Made(const std::string& type, std::int64_t result = 3) {
    process.pid = 1000;
    process.vpid = 7;
    process.name = "ls";
    process.exe = "ls";
    process.executable.path = "/usr/bin/ls";
    process.credentials.uid = 0;
    container.id = container.full_id = "abcdef123456";
    descriptor.kind = rules::DescriptorKind::kFile;
    descriptor.name = "/etc/shadow";
    descriptor.raw_name = "/tmp/x";
    event.type = rules::FindEventType(type).value();
    event.result = result;
    event.process = &process;
    event.container = &container;
    event.descriptor = &descriptor;
    event.descriptor_number = result;
    event.open = rules::OpenMode{.read = true};
  }
  rules::Process process;
  rules::Container container;
  rules::Descriptor descriptor;
  rules::Event event;
};

inline std::vector<std::string> HitsOf(const std::vector<rules::Rule>& rules, Made& made) {
  Describe(made.process);
  const auto ruleset = rules::Ruleset::Compile(rules);
  rules::Matcher matcher(ruleset);
  std::vector<std::string> names;
  for (const std::uint32_t i : matcher.Match(made.event, rules::MatchMode::kAll))
    names.push_back(ruleset->rules()[i].name);
  return names;
}

}  // namespace sluice::policy::tracee
