#pragma once

namespace sluice::api {

// The limit for one message in either direction. An `apply` is one message, however large.
inline constexpr int kMaxMessageBytes = 64 << 20;

}  // namespace sluice::api
