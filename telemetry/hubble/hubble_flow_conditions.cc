// Conditions about a flow as a whole.
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>

#include <algorithm>
#include <string>

#include "telemetry/hubble/hubble_conditions.h"
#include "telemetry/hubble/hubble_patterns.h"

namespace sluice::telemetry {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;
using Conditions = std::vector<HubbleCondition>;

constexpr std::int32_t kLayer7Event = 129;

template <typename Values, typename Value>
bool Has(const Values& values, const Value& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// `values` of the filter, one of which `get` of the flow must be.
template <typename Values, typename Get>
void AddOneOf(const Values& values, Get get, Conditions* out) {
  if (values.empty()) return;
  out->push_back([values, get](const flow::Flow& flow) { return Has(values, get(flow)); });
}

struct ProtocolOfHubble {
  const char* name;
  bool (*is_of)(const flow::Flow& flow);
};
constexpr ProtocolOfHubble kProtocols[] = {
    {"tcp", [](const flow::Flow& flow) { return flow.l4().has_tcp(); }},
    {"udp", [](const flow::Flow& flow) { return flow.l4().has_udp(); }},
    {"sctp", [](const flow::Flow& flow) { return flow.l4().has_sctp(); }},
    {"icmp", [](const flow::Flow& flow) { return flow.l4().has_icmpv4() || flow.l4().has_icmpv6(); }},
    {"icmpv4", [](const flow::Flow& flow) { return flow.l4().has_icmpv4(); }},
    {"icmpv6", [](const flow::Flow& flow) { return flow.l4().has_icmpv6(); }},
    {"vrrp", [](const flow::Flow& flow) { return flow.l4().has_vrrp(); }},
    {"igmp", [](const flow::Flow& flow) { return flow.l4().has_igmp(); }},
    {"dns", [](const flow::Flow& flow) { return flow.l7().has_dns(); }},
    {"http", [](const flow::Flow& flow) { return flow.l7().has_http(); }},
    {"kafka", [](const flow::Flow& flow) { return flow.l7().has_kafka(); }},
};

Status AddProtocols(const Texts& texts, Conditions* out) {
  if (texts.empty()) return OkStatus();
  std::vector<const ProtocolOfHubble*> wanted;
  for (const std::string& text : texts) {
    const auto* const found =
        std::find_if(std::begin(kProtocols), std::end(kProtocols),
                     [name = absl::AsciiStrToLower(text)](const ProtocolOfHubble& one) { return name == one.name; });
    if (found == std::end(kProtocols)) return InvalidError("protocol: {}: unknown protocol", text);
    wanted.push_back(found);
  }
  out->push_back([wanted = std::move(wanted)](const flow::Flow& flow) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const ProtocolOfHubble* one) { return one->is_of(flow); });
  });
  return OkStatus();
}

void AddEventTypes(const google::protobuf::RepeatedPtrField<flow::EventTypeFilter>& wanted, Conditions* out) {
  if (wanted.empty()) return;
  out->push_back([wanted](const flow::Flow& flow) {
    if (!flow.has_event_type()) return false;
    return std::any_of(wanted.begin(), wanted.end(), [&](const flow::EventTypeFilter& one) {
      return (one.type() == 0 || one.type() == flow.event_type().type()) &&
             (!one.match_sub_type() || one.sub_type() == flow.event_type().sub_type());
    });
  });
}

// A dropped flow of unknown direction counts as no reply, as older clients expect.
void AddReply(const google::protobuf::RepeatedField<bool>& wanted, Conditions* out) {
  if (wanted.empty()) return;
  out->push_back([wanted](const flow::Flow& flow) {
    if (!flow.has_is_reply() && flow.verdict() != flow::DROPPED) return false;
    return Has(wanted, flow.is_reply().value());
  });
}

bool HasAll(const flow::TCPFlags& flags, const flow::TCPFlags& wanted) {
  return flags.fin() >= wanted.fin() && flags.syn() >= wanted.syn() && flags.rst() >= wanted.rst() &&
         flags.psh() >= wanted.psh() && flags.ack() >= wanted.ack() && flags.urg() >= wanted.urg() &&
         flags.ece() >= wanted.ece() && flags.cwr() >= wanted.cwr() && flags.ns() >= wanted.ns();
}

void AddTcpFlags(const google::protobuf::RepeatedPtrField<flow::TCPFlags>& wanted, Conditions* out) {
  if (wanted.empty()) return;
  out->push_back([wanted](const flow::Flow& flow) {
    const flow::TCP& tcp = flow.l4().tcp();
    return tcp.has_flags() && std::any_of(wanted.begin(), wanted.end(),
                                          [&](const flow::TCPFlags& one) { return HasAll(tcp.flags(), one); });
  });
}

Status AddNodeNames(const Texts& texts, Conditions* out) {
  if (texts.empty()) return OkStatus();
  std::vector<HubblePattern> patterns;
  for (const std::string& text : texts) {
    auto pattern = MakeNodePattern(text);
    if (!pattern.ok()) return Annotate(pattern.status(), "node_name");
    patterns.push_back(*std::move(pattern));
  }
  out->push_back([patterns = std::move(patterns)](const flow::Flow& flow) {
    if (flow.node_name().empty()) return false;
    const bool has_cluster = flow.node_name().find('/') != std::string::npos;
    const std::string name = has_cluster ? flow.node_name() : "default/" + flow.node_name();
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const HubblePattern& pattern) { return re2::RE2::FullMatch(name, *pattern); });
  });
  return OkStatus();
}

// An index of 0 and an empty name are any.
void AddInterfaces(const google::protobuf::RepeatedPtrField<flow::NetworkInterface>& wanted, Conditions* out) {
  if (wanted.empty()) return;
  out->push_back([wanted](const flow::Flow& flow) {
    return flow.has_interface() && std::any_of(wanted.begin(), wanted.end(), [&](const flow::NetworkInterface& one) {
             return (one.index() == 0 || one.index() == flow.interface().index()) &&
                    (one.name().empty() || one.name() == flow.interface().name());
           });
  });
}

Status CheckExpressions(const char* field, const Texts& texts) {
  for (const std::string& text : texts) {
    if (const auto expression = MakeRegularExpression(text); !expression.ok())
      return Annotate(expression.status(), field);
  }
  return OkStatus();
}

// "404", "4+", "40+".
bool IsStatusCode(const std::string& text) {
  static const re2::RE2 kCode("[1-5][0-9]{2}|[1-5][0-9]?\\+");
  return re2::RE2::FullMatch(text, kCode);
}

// Sluice reads no payload, so no flow has a DNS or HTTP record, and no flow matches. A wrong value is an error all the
// same, so that it is noticed.
Status AddPayload(const flow::FlowFilter& filter, Conditions* out) {
  SL_RETURN_IF_ERROR(CheckExpressions("dns_query", filter.dns_query()));
  SL_RETURN_IF_ERROR(CheckExpressions("http_path", filter.http_path()));
  SL_RETURN_IF_ERROR(CheckExpressions("http_url", filter.http_url()));
  for (const std::string& code : filter.http_status_code()) {
    if (!IsStatusCode(code)) return InvalidError("http_status_code: {}: expected 404, 4+ or 40+", code);
  }
  const bool has_http = filter.http_status_code_size() != 0 || filter.http_method_size() != 0 ||
                        filter.http_path_size() != 0 || filter.http_url_size() != 0 || filter.http_header_size() != 0;
  const auto& types = filter.event_type();
  if (has_http && !types.empty() && std::none_of(types.begin(), types.end(), [](const flow::EventTypeFilter& one) {
        return one.type() == kLayer7Event;
      })) {
    return InvalidError("event_type: filters of HTTP match only events of type {} (l7)", kLayer7Event);
  }
  if (has_http || filter.dns_query_size() != 0) out->push_back([](const flow::Flow&) { return false; });
  return OkStatus();
}

}  // namespace

Status AddFlowConditions(const flow::FlowFilter& filter, Conditions* out) {
  if (filter.experimental().cel_expression_size() != 0) {
    return MakeError(absl::StatusCode::kUnimplemented,
                     "experimental.cel_expression: {}: CEL expressions are not supported; use the other filters",
                     filter.experimental().cel_expression(0));
  }
  AddOneOf(
      filter.uuid(), [](const flow::Flow& flow) { return flow.uuid(); }, out);
  AddOneOf(
      filter.verdict(), [](const flow::Flow& flow) -> int { return flow.verdict(); }, out);
  if (filter.drop_reason_desc_size() != 0) {
    out->push_back([reasons = filter.drop_reason_desc()](const flow::Flow& flow) {
      return flow.verdict() == flow::DROPPED && Has(reasons, static_cast<int>(flow.drop_reason_desc()));
    });
  }
  AddOneOf(
      filter.traffic_direction(), [](const flow::Flow& flow) -> int { return flow.traffic_direction(); }, out);
  AddOneOf(
      filter.ip_version(), [](const flow::Flow& flow) -> int { return flow.ip().ipversion(); }, out);
  AddOneOf(
      filter.encrypted(), [](const flow::Flow& flow) { return flow.ip().encrypted(); }, out);
  AddOneOf(
      filter.trace_id(), [](const flow::Flow& flow) { return flow.trace_context().parent().trace_id(); }, out);
  AddOneOf(
      filter.ip_trace_id(), [](const flow::Flow& flow) { return flow.ip_trace_id().trace_id(); }, out);
  AddEventTypes(filter.event_type(), out);
  AddReply(filter.reply(), out);
  AddTcpFlags(filter.tcp_flags(), out);
  AddInterfaces(filter.interface(), out);
  SL_RETURN_IF_ERROR(AddProtocols(filter.protocol(), out));
  SL_RETURN_IF_ERROR(AddNodeNames(filter.node_name(), out));
  return AddPayload(filter, out);
}

}  // namespace sluice::telemetry
