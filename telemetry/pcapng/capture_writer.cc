#include "telemetry/pcapng/capture_writer.h"

#include <arpa/inet.h>
#include <sys/utsname.h>

#include <algorithm>

#include "base/printable.h"
#include "telemetry/event/event_time.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/json.h"
#include "telemetry/event/process_text.h"
#include "telemetry/pcapng/block.h"

namespace sluice::pcapng {
namespace {

constexpr std::uint16_t kEthernet = 1;  // LINKTYPE_ETHERNET
constexpr std::uint32_t kInbound = 1, kOutbound = 2;
constexpr std::uint16_t kIpv4Names = 1, kIpv6Names = 2, kEndOfNames = 0;

std::string InterfaceName(const v1::CapturedFlow& flow) {
  const std::string interface =
      flow.flow().interface().empty() ? fmt::format("if{}", flow.interface_index()) : flow.flow().interface();
  return interface + ":" + flow.hook();
}

std::string ProcessPart(const char* what, const v1::Peer& peer) {
  if (!peer.has_process()) return "";
  return fmt::format("; {} {} (pid {})", what, telemetry::CommandText(peer.process()), peer.process().pid());
}

}  // namespace

std::string CommentOf(const v1::CapturedFlow& captured) {
  const v1::Flow& flow = captured.flow();
  std::string text = v1::Flow::Verdict_Name(flow.verdict());
  if (!flow.drop_reason().empty()) text += "/" + flow.drop_reason();
  text += fmt::format(" at {} of {}", captured.hook(), captured.workload());
  if (!flow.has_ip()) return Printable(text + ": of no flow");
  const bool reply = flow.reply();
  text += fmt::format(": {} -> {}", reply ? telemetry::DestinationText(flow) : telemetry::SourceText(flow),
                      reply ? telemetry::SourceText(flow) : telemetry::DestinationText(flow));
  text += ProcessPart("opened by", flow.source()) + ProcessPart("served by", flow.destination());
  if (flow.policies_size() != 0) text += "; policy " + telemetry::PoliciesText(flow);
  if (flow.has_service()) text += fmt::format("; to Service {}/{}", flow.service().namespace_(), flow.service().name());
  return Printable(text);
}

Status CaptureWriter::Write(std::string block) {
  bytes_ += block.size();
  return sink_(block);
}

Status CaptureWriter::Begin() {
  Block section(kSectionHeader);
  section.Put32(kByteOrderMagic);
  section.Put16(1);  // version 1.0
  section.Put16(0);
  section.Put64(~std::uint64_t{0});  // of unknown length
  if (!options_.cause.empty()) section.PutText(kOptionComment, Printable(options_.cause));
  utsname system{};
  if (uname(&system) == 0)
    section.PutText(kSectionSystem, fmt::format("{} {} on {}", system.sysname, system.release, options_.node));
  section.PutText(kSectionApplication, options_.application);
  return Write(section.Finish());
}

Status CaptureWriter::AddInterface(const v1::CapturedFlow& flow, std::uint32_t* number) {
  const std::string name = InterfaceName(flow);
  const auto [known, is_new] = interfaces_.emplace(name, static_cast<std::uint32_t>(interfaces_.size()));
  *number = known->second;
  if (!is_new) return OkStatus();
  Block interface(kInterfaceDescription);
  interface.Put16(kEthernet);
  interface.Put16(0);
  interface.Put32(0);  // no limit: each packet tells what is missing
  interface.PutText(kInterfaceName, name);
  interface.PutText(kInterfaceDescriptionText,
                    fmt::format("Sluice's hook {} at interface {}", flow.hook(), flow.interface_index()));
  interface.PutOption(kInterfaceTimeResolution, std::string_view("\x09", 1));  // nanoseconds
  return Write(interface.Finish());
}

Status CaptureWriter::AddNames(const v1::Flow& flow) {
  Block names(kNameResolution);
  bool any = false;
  for (const auto& [address, peer] :
       {std::pair(flow.ip().source(), &flow.source()), std::pair(flow.ip().destination(), &flow.destination())}) {
    if (address.empty() || peer->workload().empty()) continue;
    const std::string name = peer->workload() + "." + peer->namespace_();
    std::string& written = names_[address];
    if (written == name) continue;
    written = name;
    in6_addr bytes{};
    const bool v6 = address.find(':') != std::string::npos;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), &bytes) != 1) continue;
    const std::size_t size = v6 ? sizeof(in6_addr) : sizeof(in_addr);
    std::string record(reinterpret_cast<const char*>(&bytes), size);
    record.append(name).push_back('\0');
    names.Put16(v6 ? kIpv6Names : kIpv4Names);
    names.Put16(static_cast<std::uint16_t>(record.size()));
    names.PutBytes(record);
    any = true;
  }
  if (!any) return OkStatus();
  names.Put16(kEndOfNames);
  names.Put16(0);
  return Write(names.Finish());
}

Status CaptureWriter::AddFlow(const v1::CapturedFlow& flow) {
  Known known{.flags = flow.sent() ? kOutbound : kInbound, .comment = CommentOf(flow)};
  SL_RETURN_IF_ERROR(AddInterface(flow, &known.interface));
  SL_RETURN_IF_ERROR(AddNames(flow.flow()));
  SL_ASSIGN_OR_RETURN(const std::string json, telemetry::ToJson(flow.flow()));
  Block block(kCustom);
  block.Put32(kEnterprise);
  block.PutBytes(fmt::format(R"({{"sluice":"flow","number":{},"workload":"{}","hook":"{}","flow":{}}})", flow.number(),
                             flow.workload(), flow.hook(), json));
  SL_RETURN_IF_ERROR(Write(block.Finish()));
  flows_[flow.number()] = std::move(known);
  return OkStatus();
}

Status CaptureWriter::AddPacket(const v1::CapturedPacket& packet) {
  const auto known = flows_.find(packet.flow());
  if (known == flows_.end())
    return InvalidError("a captured packet belongs to flow {}, which was not sent", packet.flow());
  const auto time = static_cast<std::uint64_t>(telemetry::NanosecondsOf(packet.time()));
  Block block(kEnhancedPacket);
  block.Put32(known->second.interface);
  block.Put32(static_cast<std::uint32_t>(time >> 32));
  block.Put32(static_cast<std::uint32_t>(time));
  block.Put32(static_cast<std::uint32_t>(packet.data().size()));
  block.Put32(std::max(packet.length(), static_cast<std::uint32_t>(packet.data().size())));
  block.PutBytes(packet.data());
  block.PutText(kOptionComment, known->second.comment);
  block.PutOption32(kPacketFlags, known->second.flags);
  block.PutCustomText(fmt::format(R"({{"sluice":"packet","flow":{}}})", packet.flow()));
  SL_RETURN_IF_ERROR(Write(block.Finish()));
  ++packets_;
  last_ = packet.time();
  return OkStatus();
}

Status CaptureWriter::AddLoss(std::uint64_t packets) {
  if (interfaces_.empty() || packets == 0) return OkStatus();
  const auto time = static_cast<std::uint64_t>(telemetry::NanosecondsOf(last_));
  Block block(kInterfaceStatistics);
  block.Put32(0);
  block.Put32(static_cast<std::uint32_t>(time >> 32));
  block.Put32(static_cast<std::uint32_t>(time));
  block.PutText(kOptionComment, fmt::format("{} packets were overwritten before they could be written here", packets));
  block.PutOption(kStatisticsDropped, {reinterpret_cast<const char*>(&packets), sizeof(packets)});
  return Write(block.Finish());
}

}  // namespace sluice::pcapng
