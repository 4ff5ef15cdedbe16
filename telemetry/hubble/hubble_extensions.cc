#include "telemetry/hubble/hubble_extensions.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>

#include "base/printable.h"

namespace sluice::telemetry {
namespace {

using google::protobuf::Struct;

constexpr int kMaxArguments = 32;
constexpr std::size_t kMaxArgumentBytes = 1024;

// What is empty is left out.
void AddText(const char* name, const std::string& text, Struct* to) {
  if (!text.empty()) (*to->mutable_fields())[name].set_string_value(Printable(text));
}

void AddNumber(const char* name, double number, Struct* to) { (*to->mutable_fields())[name].set_number_value(number); }

template <typename Texts>
void AddTexts(const char* name, const Texts& texts, Struct* to) {
  if (texts.empty()) return;
  google::protobuf::ListValue& list = *(*to->mutable_fields())[name].mutable_list_value();
  for (int i = 0; i < std::min(texts.size(), kMaxArguments); ++i) {
    list.add_values()->set_string_value(Printable(texts[i].substr(0, kMaxArgumentBytes)));
  }
}

void AddProcess(const v1::Peer& peer, const char* name, Struct* to) {
  if (!peer.has_process()) return;
  const v1::Process& process = peer.process();
  Struct out;
  AddText("execId", process.exec_id(), &out);
  if (process.has_pid()) AddNumber("pid", process.pid(), &out);
  AddText("binary", process.binary(), &out);
  AddText("name", process.name(), &out);
  AddText("script", process.script(), &out);
  AddTexts("arguments", process.arguments(), &out);
  if (process.has_uid()) AddNumber("uid", process.uid(), &out);
  AddText("parentExecId", process.parent_exec_id(), &out);
  AddTexts("ancestors", process.ancestors(), &out);
  AddText("containerId", process.container_id(), &out);
  AddText("containerName", process.container_name(), &out);
  Struct& end = *(*to->mutable_fields())[name].mutable_struct_value();
  *(*end.mutable_fields())["process"].mutable_struct_value() = std::move(out);
}

void AddTraffic(const char* name, const v1::Traffic& traffic, Struct* to) {
  Struct& out = *(*to->mutable_fields())[name].mutable_struct_value();
  AddNumber("packets", static_cast<double>(traffic.packets()), &out);
  AddNumber("bytes", static_cast<double>(traffic.bytes()), &out);
}

}  // namespace

google::protobuf::Any ToHubbleExtensions(const v1::Flow& flow) {
  Struct out;
  AddText("flowId", flow.flow_id(), &out);
  AddText("event", v1::Flow::Kind_Name(flow.event()), &out);
  AddText("hook", v1::Flow::Hook_Name(flow.hook()), &out);
  AddText("dropReason", flow.drop_reason(), &out);
  AddText("exempt", flow.exempt(), &out);
  AddProcess(flow.source(), flow.reply() ? "destination" : "source", &out);
  AddProcess(flow.destination(), flow.reply() ? "source" : "destination", &out);
  AddTraffic("forward", flow.forward(), &out);
  AddTraffic("backward", flow.backward(), &out);
  google::protobuf::Any any;
  any.PackFrom(out);
  return any;
}

}  // namespace sluice::telemetry
