// Captured packets as a pcapng file: an interface for each hook of each interface, names of the addresses, and for each
// packet its verdict, a comment for people, and a reference to a custom block with its flow as JSON (docs/capture.md).
//
//   CaptureWriter writer({.application = "Sluice 1.0", .node = "node-1"}, [&](std::string_view bytes) { ... });
//   SL_RETURN_IF_ERROR(writer.Begin());
//   SL_RETURN_IF_ERROR(writer.AddFlow(flow));     // before its packets
//   SL_RETURN_IF_ERROR(writer.AddPacket(packet));
//
// After each call, what was written is a whole file. Not thread-safe. Pure, apart from the sink.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::pcapng {

// "DROPPED/POLICY_DENIED at tc_from_pod of shop/web-0: 10.1.0.2:40112 -> shop/db-0:5432; sent by /usr/bin/psql -h db
// (pid 4242); policy shop/db ingress DEFAULT_DENY".
std::string CommentOf(const v1::CapturedFlow& flow);

class CaptureWriter {
 public:
  struct Options {
    std::string application;
    std::string node;
    std::string cause;  // why there is a file: the section's comment; may be empty
  };
  using Sink = std::function<Status(std::string_view bytes)>;

  CaptureWriter(Options options, Sink sink) : options_(std::move(options)), sink_(std::move(sink)) {}

  Status Begin();
  Status AddFlow(const v1::CapturedFlow& flow);
  // InvalidArgument: its flow was not added.
  Status AddPacket(const v1::CapturedPacket& packet);
  // At the end: how many packets were lost, as the receiver cannot see it otherwise.
  Status AddLoss(std::uint64_t packets);

  std::uint64_t packets() const { return packets_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Known {
    std::uint32_t interface = 0;
    std::uint32_t flags = 0;  // epb_flags
    std::string comment;
  };
  Status Write(std::string block);
  Status AddInterface(const v1::CapturedFlow& flow, std::uint32_t* number);
  Status AddNames(const v1::Flow& flow);

  const Options options_;
  const Sink sink_;
  std::map<std::string, std::uint32_t> interfaces_;  // by name
  std::map<std::string, std::string> names_;         // of addresses, that were written
  std::map<std::uint32_t, Known> flows_;
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
  google::protobuf::Timestamp last_;
};

}  // namespace sluice::pcapng
