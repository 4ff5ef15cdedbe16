#include "ctrl/sluice/event_writer.h"

#include <google/protobuf/util/time_util.h>

#include <map>

#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/event_dict.h"
#include "telemetry/event/event_time.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/json.h"
#include "telemetry/falco/falco_event.h"
#include "telemetry/kubearmor/kubearmor_event.h"
#include "telemetry/tetragon/tetragon_event.h"

namespace sluice::client {
namespace {

// Of any type of event. Empty: it has none.
std::string NodeOf(const v1::Event& event) {
  const auto& reflection = *event.GetReflection();
  const auto* const part = reflection.GetOneofFieldDescriptor(event, v1::Event::descriptor()->oneof_decl(0));
  if (part == nullptr) return "";
  const auto& message = reflection.GetMessage(event, part);
  const auto* const node = message.GetDescriptor()->FindFieldByName("node");
  return node == nullptr ? "" : message.GetReflection()->GetString(message, node);
}

}  // namespace

StatusOr<EventWriter> EventWriter::Make(const std::string& output, const std::string& fields) {
  static const std::map<std::string, Form> forms = {{"compact", Form::kCompact},
                                                    {"table", Form::kCompact},
                                                    {"wide", Form::kWide},
                                                    {"dict", Form::kDict},
                                                    {"json", Form::kJson},
                                                    {kTetragonJson, Form::kTetragon},
                                                    {kKubeArmorJson, Form::kKubeArmor},
                                                    {kFalcoJson, Form::kFalco}};
  const auto form = forms.find(output);
  if (form == forms.end())
    return InvalidError("-o {}: there are compact, wide, dict, json, tetragon-json, kubearmor-json and falco-json",
                        output);
  EventWriter writer(form->second);
  if (fields.empty()) return writer;
  if (writer.form_ != Form::kJson && writer.form_ != Form::kDict) {
    return InvalidError("--fields: give it with -o json or -o dict");
  }
  auto mask = telemetry::EventMask::Parse(fields);
  if (!mask.ok()) return Annotate(mask.status(), "--fields");
  writer.mask_ = *std::move(mask);
  return writer;
}

// A late event has its own time at the end of its line.
std::string EventWriter::ToLine(const v1::Event& event) {
  if (telemetry::TimeOf(event) > shown_) shown_ = telemetry::TimeOf(event);
  const auto form = form_ == Form::kWide ? telemetry::TextForm::kWide : telemetry::TextForm::kCompact;
  std::string line = telemetry::EventText(event, form, &shown_) + "\n";
  if (shows_nodes_) line.insert(line.find(' ') + 1, fmt::format("{:<12} ", PrintableWord(NodeOf(event))));
  return line;
}

StatusOr<std::string> EventWriter::ToText(v1::Event event) {
  if (form_ == Form::kCompact || form_ == Form::kWide) return ToLine(event);
  if (mask_ && !mask_->Trim(&event)) return std::string();
  if (form_ == Form::kTetragon || form_ == Form::kKubeArmor || form_ == Form::kFalco) {
    SL_ASSIGN_OR_RETURN(const std::string json, form_ == Form::kTetragon    ? telemetry::ToTetragonJson(event)
                                                : form_ == Form::kKubeArmor ? telemetry::ToKubeArmorJson(event)
                                                                            : telemetry::ToFalcoJson(event));
    return json.empty() ? json : json + "\n";
  }
  if (form_ == Form::kJson) {
    SL_ASSIGN_OR_RETURN(const std::string json, telemetry::EventToJson(event));
    return json + "\n";
  }
  SL_ASSIGN_OR_RETURN(const std::string lines, telemetry::EventDict(event));
  return (std::exchange(first_, false) ? "" : "---\n") + lines;
}

Status EventWriter::Write(const cluster::NodeState& state) {
  if (form_ == Form::kJson || form_ == Form::kDict) {
    SL_ASSIGN_OR_RETURN(const std::string json, telemetry::ToJson(state));
    return form_ == Form::kJson ? WriteOut(json + "\n") : OkStatus();
  }
  const std::string what = cluster::NodeState::State_Name(state.state());
  const std::string line =
      Printable(fmt::format("{} {:<12} NODE   {}{}{}", telemetry::TimeText(state.time()), PrintableWord(state.node()),
                            what, state.problem().empty() ? "" : ": ", state.problem()));
  if (form_ == Form::kCompact || form_ == Form::kWide) return WriteOut(line + "\n");
  Tell(line);
  return OkStatus();
}

Status EventWriter::Write(const v1::Event& event) {
  if (event.event_case() == v1::Event::EVENT_NOT_SET) {
    Tell(telemetry::EventText(event));
    return OkStatus();
  }
  SL_ASSIGN_OR_RETURN(const std::string text, ToText(event));
  return text.empty() ? OkStatus() : WriteOut(text);
}

}  // namespace sluice::client
