#include "telemetry/event/packed_flow.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <utility>

#include "telemetry/event/event_time.h"

namespace sluice::telemetry {
namespace {

// Equal messages have equal texts: by itself, the library writes labels in any order.
std::string ToText(const v1::Event& event) {
  std::string text;
  {
    google::protobuf::io::StringOutputStream stream(&text);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    event.SerializeToCodedStream(&out);
  }
  text.shrink_to_fit();
  return text;
}

// What differs between the flows of the same ends moves from `rest` to the result.
v1::Event TakeOwn(v1::Event* rest) {
  v1::Event own;
  v1::Flow& from = *rest->mutable_flow();
  v1::Flow& to = *own.mutable_flow();
  if (from.has_time()) to.mutable_time()->Swap(from.mutable_time());
  if (from.has_start_time()) to.mutable_start_time()->Swap(from.mutable_start_time());
  if (from.has_forward()) to.mutable_forward()->Swap(from.mutable_forward());
  if (from.has_backward()) to.mutable_backward()->Swap(from.mutable_backward());
  if (from.l4().has_source_port()) {
    to.mutable_l4()->set_source_port(from.l4().source_port());
    from.mutable_l4()->clear_source_port();
  }
  to.mutable_flow_id()->swap(*from.mutable_flow_id());
  // Swapped messages are empty, and are there all the same; what is left must not depend on whether they were.
  from.clear_time();
  from.clear_start_time();
  from.clear_forward();
  from.clear_backward();
  return own;
}

// An end of the flow moves from `rest` to the result.
std::string TakeEnd(v1::Event* rest, v1::Peer* (v1::Flow::*mutable_end)()) {
  v1::Event end;
  (end.mutable_flow()->*mutable_end)()->Swap((rest->mutable_flow()->*mutable_end)());
  return ToText(end);
}

}  // namespace

FlowPacker::Packed FlowPacker::Pack(const v1::Event& event) {
  Packed packed;
  packed.flow.time_ns = NanosecondsOf(event.flow().time());
  v1::Event rest = event;
  packed.flow.own = ToText(TakeOwn(&rest));
  packed.bytes = sizeof(PackedFlow) + packed.flow.own.capacity();
  const auto keep = [&](std::string text, InternedTexts::Text* out) {
    InternedTexts::Added added = texts_.Add(std::move(text));
    packed.bytes += added.bytes;
    *out = std::move(added.text);
  };
  if (rest.flow().has_source()) {
    keep(TakeEnd(&rest, &v1::Flow::mutable_source), &packed.flow.source);
    rest.mutable_flow()->clear_source();
  }
  if (rest.flow().has_destination()) {
    keep(TakeEnd(&rest, &v1::Flow::mutable_destination), &packed.flow.destination);
    rest.mutable_flow()->clear_destination();
  }
  keep(ToText(rest), &packed.flow.common);
  return packed;
}

// Parsing what is one after the other is the same as merging the messages.
EventPtr Unpack(const PackedFlow& flow) {
  auto event = std::make_shared<v1::Event>();
  for (const InternedTexts::Text& part : {flow.common, flow.source, flow.destination})
    if (part != nullptr) event->MergeFromString(*part);
  event->MergeFromString(flow.own);
  return event;
}

}  // namespace sluice::telemetry
