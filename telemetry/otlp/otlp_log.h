// Events as OTLP's log records. Attributes have the names of OpenTelemetry's semantic conventions where there are some
// (k8s.*, process.*, source.*, destination.*, network.*, security_rule.*); others begin with "sluice.". docs/otlp.md
// lists them. Pure.
#pragma once

#include <cstdint>

#include "api/otlp_logs.pb.h"
#include "api/sluice.pb.h"

namespace sluice::telemetry {

namespace otlp_logs = opentelemetry::proto::collector::logs::v1;

// `observed_ns`: now, since 1970.
void FillLogRecord(const v1::Event& event, std::uint64_t observed_ns, otlp_logs::LogRecord* out);

}  // namespace sluice::telemetry
