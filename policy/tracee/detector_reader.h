// One document of a detector or a list as it is written, before its events are looked for. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/resource/resource_field.h"

namespace sluice::policy::tracee {

enum class DetectorKind { kNone, kDetector, kList };
DetectorKind DetectorKindOf(const YamlNode& root);

// A text that is read later, and where it is written.
struct WrittenText {
  std::string text;
  Place place;
  std::string path;  // "conditions[0]"
};

struct RequiredEvent {
  WrittenText name;
  std::vector<WrittenText> data_filters;
  std::vector<WrittenText> scope_filters;
};

struct OutputValue {
  std::string name;
  WrittenText expression;
};

struct Detector {
  std::string file;
  Place place;
  std::string id;
  std::string name;  // of the event that it produces
  std::string description;
  std::vector<std::string> tags;
  std::string severity;   // lower case; empty: no threat
  std::string technique;  // "T1059"; empty: not said
  std::vector<RequiredEvent> events;
  std::vector<WrittenText> conditions;
  std::vector<OutputValue> output;
};

struct SharedList {
  std::string name;
  std::vector<std::string> values;
};

// Errors are in the field's document too.
StatusOr<Detector> ReadDetector(const Field& root);
StatusOr<SharedList> ReadList(const Field& root);

}  // namespace sluice::policy::tracee
