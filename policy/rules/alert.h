// A rule that an event meets, as Falco writes it: as JSON, which falcosidekick and other receivers take, and as a line
// of text. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "policy/rules/rule.h"

namespace sluice::policy::rules {

// All that an alert says. A value: it needs neither the rule nor the event any more.
struct Alert {
  std::string host;  // name of the node
  std::string rule;
  std::string source;  // of the rule's events
  Priority priority = Priority::kDebug;
  std::vector<std::string> tags;                            // sorted
  std::uint64_t time_ns = 0;                                // since 1970
  std::string message;                                      // the rule's output with the event's values
  std::vector<std::pair<std::string, OutputValue>> fields;  // of the output, each once, in its order
};

Alert MakeAlert(const Rule& rule, const Event& event);

struct AlertOptions {
  bool iso_time = false;  // in the text: the date too
  bool output = true;     // these: which of the JSON's keys there are
  bool tags = true;
  bool message = false;  // the output without time and priority
  bool output_fields = true;
};

// One object without a line end: hostname, output, output_fields, priority, rule, source, tags, time. Fields of the
// output that are missing are null. Bytes that are no UTF-8 become U+FFFD.
std::string AlertJson(const Alert& alert, const AlertOptions& options = {});

// "13:53:31.726060287: Critical A shell was spawned | user=root". Control characters are escaped as JSON does.
std::string AlertText(const Alert& alert, const AlertOptions& options = {});

}  // namespace sluice::policy::rules
