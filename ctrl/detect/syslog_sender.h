// Writes detections to a syslog daemon's socket, one message each: facility "user", the rule's priority as severity,
// and Falco's line of text or its JSON. Messages are cut at 8 KiB, which daemons take.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "telemetry/detect/detection_output.h"

namespace sluice::detect {

class SyslogSender final : public telemetry::DetectionSender {
 public:
  enum class Form { kText, kJson };
  // `path`: of a Unix datagram socket, "/dev/log". It need not be there yet.
  SyslogSender(std::string path, Form form) : path_(std::move(path)), form_(form) {}

  // Later: nobody reads the socket, or it has been full for a second.
  Result Send(const v1::Event& detection) override;

 private:
  Status Connect();

  const std::string path_;
  const Form form_;
  Fd socket_;
};

}  // namespace sluice::detect
