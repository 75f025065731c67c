// The service's reason in an absl::Status.
//
// An error that the service made carries its reason and details as payloads.  One without a reason did not come from
// the service: UNAVAILABLE, DEADLINE_EXCEEDED or CANCELLED then say nothing about whether a mutation happened.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_STATUS_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_STATUS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace dmcached::client {

// "CBLOCK_IN_USE" and the like (API.md section 5); empty for OK and for errors without one.
std::string ReasonOf(const absl::Status& status);

// Index of the first bad item of the request, if the service named it.
std::optional<uint64_t> ItemOf(const absl::Status& status);

// Number of the failed batch, for errors of a MutateStream.
std::optional<uint64_t> BatchOf(const absl::Status& status);

// Another detail of the service's answer; nothing if it has none of that name.
std::optional<std::string> DetailOf(const absl::Status& status, absl::string_view key);

// No connection: nothing was sent.
bool NeverSent(const absl::Status& status);

// The request may have happened: it got no answer, or the service itself does not know (OUTCOME_UNKNOWN), or an earlier
// copy got no answer and the incarnation has changed since.  A durable look-up decides.
bool OutcomeUnknown(const absl::Status& status);

// An error as the service makes it, for checks that a client does itself.
absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message);

// The same, about item `item` of the request.
absl::Status WithItem(const absl::Status& status, uint64_t item);

// `status` with another message and the same payloads.
absl::Status WithMessage(const absl::Status& status, absl::string_view message);

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_STATUS_H_
