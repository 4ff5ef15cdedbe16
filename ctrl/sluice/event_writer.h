// Events on standard output, in the form that was asked for. Not thread-safe.
#pragma once

#include <optional>
#include <string>

#include "api/relay.pb.h"
#include "api/sluice.pb.h"
#include "base/status.h"
#include "telemetry/event/event_mask.h"

namespace sluice::client {

inline constexpr char kTetragonJson[] = "tetragon-json";
inline constexpr char kKubeArmorJson[] = "kubearmor-json";
inline constexpr char kFalcoJson[] = "falco-json";

class EventWriter {
 public:
  // `output`: compact (or table), wide, dict, json, tetragon-json, kubearmor-json or falco-json. `fields`: for dict and
  // json; empty: all. InvalidArgument: a field that no event has, or another form.
  static StatusOr<EventWriter> Make(const std::string& output, const std::string& fields);

  // From now on, lines of one event have the event's node after the time.
  void ShowNodes() { shows_nodes_ = true; }

  // Error: as WriteOut.
  Status Write(const v1::Event& event);
  // What a relay says of a node. In forms of other projects, on standard error.
  Status Write(const cluster::NodeState& state);

  // The event's line or lines; times in the first column never go back. Empty: the event has none of the fields, or
  // the form has no such event.
  StatusOr<std::string> ToText(v1::Event event);

 private:
  enum class Form { kCompact, kWide, kDict, kJson, kTetragon, kKubeArmor, kFalco };
  explicit EventWriter(Form form) : form_(form) {}
  std::string ToLine(const v1::Event& event);

  Form form_;
  std::optional<telemetry::EventMask> mask_;
  google::protobuf::Timestamp shown_;  // the time of the last line
  bool first_ = true;
  bool shows_nodes_ = false;
};

}  // namespace sluice::client
