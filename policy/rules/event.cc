#include "policy/rules/event.h"

#include <fmt/format.h>

namespace sluice::policy::rules {
namespace {

std::string EndName(const Address& address, std::uint16_t port) {
  return fmt::format("{}:{}", address.ToString(), port);
}

}  // namespace

void Describe(Process& process) {
  process.argument_text.clear();
  for (std::size_t i = 0; i < process.arguments.size(); ++i) {
    if (i > 0) process.argument_text += ' ';
    process.argument_text += process.arguments[i];
  }
  const std::string rest = process.arguments.empty() ? "" : " " + process.argument_text;
  process.command_line = process.name + rest;
  process.exe_line = process.exe + rest;
}

const Container& HostContainer() {
  static const Container host = [] {
    Container container;
    container.id = container.name = "host";
    return container;
  }();
  return host;
}

std::string SocketName(const Descriptor& descriptor) {
  if (!descriptor.ends) return "";
  const SocketEnds& ends = *descriptor.ends;
  const std::string server = EndName(ends.server, ends.server_port);
  const bool listens =
      descriptor.kind == DescriptorKind::kIpv4Listener || descriptor.kind == DescriptorKind::kIpv6Listener;
  return listens ? server : EndName(ends.client, ends.client_port) + "->" + server;
}

}  // namespace sluice::policy::rules
