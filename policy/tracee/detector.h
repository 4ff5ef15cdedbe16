// Tracee's YAML detectors and the lists that they share -> rules of policy/rules. A detector needs events of this
// agent's sensors, or what other detectors produce: those are put in its place, so that each rule decides by one event.
// Strict as policies are (policy.h): what cannot be said here is refused by its name. docs/tracee.md says what is
// taken. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/resource_field.h"
#include "policy/rules/rule.h"
#include "policy/tracee/filter.h"

namespace sluice::policy::tracee {

// Whether one of the documents says that it is a detector or a list.
bool IsDetectorText(std::string_view text);

struct DetectorFile {
  std::string path;
  std::string text;
};

struct FileProblem {
  std::string file;
  Problem problem;
};

// What policies may name as an event.
struct ProducedEvent {
  std::string name;
  std::string_view priority;  // of the detector's rules
  std::vector<EventSource> sources;
};

struct LoadedDetectors {
  // Of the detectors without a problem. One that builds on another comes before it, so that it is the one that an event
  // counts for where only the first rule counts. Named as the event that the detector produces, and if it decides by
  // several events "NAME: EVENT".
  std::vector<rules::Rule> rules;
  std::vector<ProducedEvent> events;  // of the same detectors
  std::size_t detectors = 0, lists = 0;
  std::vector<FileProblem> problems;
};

// Detectors and lists of all files together; other documents in them are left out.
LoadedDetectors LoadDetectors(const std::vector<DetectorFile>& files);

}  // namespace sluice::policy::tracee
