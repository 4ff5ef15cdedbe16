// A rule that an event meets, as Falco writes it: as JSON, which falcosidekick and other receivers take, and as a line
// of text. Pure.
#pragma once

#include <string>

#include "policy/rules/rule.h"

namespace sluice::policy::rules {

struct AlertOptions {
  bool iso_time = false;  // in the text: the date too
  bool output = true;     // these: which of the JSON's keys there are
  bool tags = true;
  bool message = false;  // the output without time and priority
  bool output_fields = true;
};

// One object without a line end: hostname, output, output_fields, priority, rule, source, tags, time. Fields of the
// output that are missing are null. Bytes that are no UTF-8 become U+FFFD.
std::string AlertJson(const Rule& rule, const Event& event, const AlertOptions& options = {});

// "13:53:31.726060287: Critical A shell was spawned | user=root". Control characters are escaped as JSON does.
std::string AlertText(const Rule& rule, const Event& event, const AlertOptions& options = {});

}  // namespace sluice::policy::rules
