#pragma once

namespace sluice::api {

// Of one message in either direction: a large `apply` is one message.
inline constexpr int kMaxMessageBytes = 64 << 20;

}  // namespace sluice::api
