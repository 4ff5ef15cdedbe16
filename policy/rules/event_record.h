// Events as text, one JSON object each: what `sluice record` writes and `sluice rules test` tries rules on. Keys are
// those of policy/rules/event.h in camelCase; one that is not there is a fact that is not known. Pure.
//   {"type":"openat","number":1,"timeNs":1764582010000000000,"result":3,"descriptorNumber":3,
//    "process":{"pid":7,"name":"cat","exe":"/bin/cat","arguments":["/etc/shadow"],"parent":{"pid":1,"name":"bash"}},
//    "container":"host","descriptor":{"kind":"file","name":"/etc/shadow","rawName":"/etc/shadow"},
//    "arguments":[["flags","O_RDONLY"]],"open":{"read":true}}
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/rules/event.h"

namespace sluice::policy::rules {

inline constexpr std::size_t kMaxEventRecordBytes = 1U << 20U;

// An event with all that it points to. Not copied, because the event points into it.
struct RecordedEvent {
  RecordedEvent() = default;
  RecordedEvent(const RecordedEvent&) = delete;
  RecordedEvent& operator=(const RecordedEvent&) = delete;

  Event event;
  std::deque<Process> processes;  // the process, then its ancestors
  Container container;
  Descriptor descriptor;
  std::vector<std::pair<std::string, std::string>> argument_texts;
  std::vector<Argument> arguments;
  std::string buffer;
  std::string host;
};

// Error: InvalidArgument, "process.pid: ...": what is wrong with which key.
StatusOr<std::unique_ptr<RecordedEvent>> ParseEventRecord(std::string_view line);

// The record of an event, on one line without a line end: ParseEventRecord reads the same event from it, but that bytes
// of texts that are no UTF-8 become U+FFFD. Data of calls keeps all its bytes ("bufferHex"). Ancestors beyond those
// that fields can name are left out.
std::string EventRecord(const Event& event);

// Names of descriptors in records: "file", "ipv4", "ipv4Listener", ...
std::string_view NameOf(DescriptorKind kind);

}  // namespace sluice::policy::rules
