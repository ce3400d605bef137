// Errors in the words of the real service: HTTP status, x-ms-error-code, XML body. Clients decide by the code; people
// read the message. The list holds what this server can answer.
import Foundation
import NIOHTTP1

/// An answer that is an error.
struct ServiceError: Error, Equatable {
    let status: HTTPResponseStatus
    let code: String
    let message: String
    /// Further elements of the XML body, in order: what the service adds to say which value was wrong.
    var details: [Detail] = []
    /// Headers of the answer beside those of every error.
    var headers: [Detail] = []

    struct Detail: Equatable {
        let name: String
        let value: String
    }

    init(_ status: HTTPResponseStatus, _ code: String, _ message: String, details: [Detail] = []) {
        self.status = status
        self.code = code
        self.message = message
        self.details = details
    }

    /// The body. `requestID` and `time` are part of the message, as the service writes it.
    func body(requestID: String, time: Date) -> [UInt8] {
        var text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>"
        text += "<Error><Code>\(code)</Code><Message>\(XMLText.escape(message))\n"
        text += "RequestId:\(requestID)\nTime:\(HTTPDate.iso8601(time))</Message>"
        for detail in details {
            text += "<\(detail.name)>\(XMLText.escape(detail.value))</\(detail.name)>"
        }
        return Array((text + "</Error>").utf8)
    }
}

extension ServiceError {
    static func authenticationFailed(_ detail: String) -> ServiceError {
        ServiceError(
            .forbidden, "AuthenticationFailed",
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
                + "including the signature.", details: [Detail(name: "AuthenticationErrorDetail", value: detail)])
    }
    static let noAuthenticationInformation = ServiceError(
        .unauthorized, "NoAuthenticationInformation",
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
    static let permissionMismatch = ServiceError(
        .forbidden, "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.")
    static let resourceTypeMismatch = ServiceError(
        .forbidden, "AuthorizationResourceTypeMismatch",
        "This request is not authorized to perform this operation using this resource type.")
    static let serviceMismatch = ServiceError(
        .forbidden, "AuthorizationServiceMismatch",
        "This request is not authorized to perform this operation using this service.")
    static let protocolMismatch = ServiceError(
        .forbidden, "AuthorizationProtocolMismatch",
        "This request is not authorized to perform this operation using this protocol.")
    static let sourceIPMismatch = ServiceError(
        .forbidden, "AuthorizationSourceIPMismatch",
        "This request is not authorized to perform this operation using this source IP.")
    static let containerNotFound = ServiceError(
        .notFound, "ContainerNotFound", "The specified container does not exist.")
    static let containerAlreadyExists = ServiceError(
        .conflict, "ContainerAlreadyExists", "The specified container already exists.")
    static let blobNotFound = ServiceError(.notFound, "BlobNotFound", "The specified blob does not exist.")
    static let blobAlreadyExists = ServiceError(.conflict, "BlobAlreadyExists", "The specified blob already exists.")
    static let conditionNotMet = ServiceError(
        .preconditionFailed, "ConditionNotMet",
        "The condition specified using HTTP conditional header(s) is not met.")
    static let notModified = ServiceError(.notModified, "ConditionNotMet", "")
    static let invalidRange = ServiceError(
        .rangeNotSatisfiable, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    static let invalidBlobOrBlock = ServiceError(
        .badRequest, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
    static let invalidBlockList = ServiceError(
        .badRequest, "InvalidBlockList", "The specified block list is invalid.")
    static let blockCountExceedsLimit = ServiceError(
        .conflict, "BlockCountExceedsLimit",
        "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.")
    static let blockListTooLong = ServiceError(
        .badRequest, "BlockListTooLong", "The block list may not contain more than 50,000 blocks.")
    static let invalidXML = ServiceError(
        .badRequest, "InvalidXmlDocument", "XML specified is not syntactically valid.")
    static let invalidMD5 = ServiceError(
        .badRequest, "InvalidMd5",
        "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64 encoded.")
    static let missingContentLength = ServiceError(
        .lengthRequired, "MissingContentLengthHeader", "Content-Length HTTP header not specified.")
    static let bodyTooLarge = ServiceError(
        .payloadTooLarge, "RequestBodyTooLarge",
        "The request body is too large and exceeds the maximum permissible limit.")
    static let invalidResourceName = ServiceError(
        .badRequest, "InvalidResourceName", "The specified resource name contains invalid characters.")
    static let resourceNameLength = ServiceError(
        .badRequest, "OutOfRangeInput", "The specified resource name length is not within the permissible limits.")
    static let invalidURI = ServiceError(
        .badRequest, "InvalidUri", "The requested URI does not represent any resource on the server.")
    static let invalidMetadata = ServiceError(
        .badRequest, "InvalidMetadata",
        "The metadata specified is invalid. It has characters that are not permitted.")
    static let metadataTooLarge = ServiceError(
        .badRequest, "MetadataTooLarge",
        "The metadata specified exceeds the maximum permissible limit (8KB).")
    static let tagsTooLarge = ServiceError(
        .badRequest, "TagsTooLarge", "The tags specified exceed the maximum permissible limit.")
    static let internalError = ServiceError(
        .internalServerError, "InternalError", "The server encountered an internal error. Please retry the request.")
    static let notImplemented = ServiceError(
        .notImplemented, "NotImplemented",
        "The requested operation is not implemented on the specified resource.")

    static func md5Mismatch(given: String, computed: String) -> ServiceError {
        ServiceError(
            .badRequest, "Md5Mismatch",
            "The MD5 value specified in the request did not match with the MD5 value calculated by the server.",
            details: [
                Detail(name: "UserSpecifiedMd5", value: given), Detail(name: "ServerCalculatedMd5", value: computed),
            ])
    }
    static func crc64Mismatch(given: String, computed: String) -> ServiceError {
        ServiceError(
            .badRequest, "Crc64Mismatch",
            "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.",
            details: [
                Detail(name: "UserSpecifiedCrc", value: given), Detail(name: "ServerCalculatedCrc", value: computed),
            ])
    }
    static func invalidHeader(_ name: String, _ value: String) -> ServiceError {
        ServiceError(
            .badRequest, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.",
            details: [Detail(name: "HeaderName", value: name), Detail(name: "HeaderValue", value: value)])
    }
    static func missingHeader(_ name: String) -> ServiceError {
        ServiceError(
            .badRequest, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified.",
            details: [Detail(name: "HeaderName", value: name)])
    }
    static func invalidQuery(_ name: String, _ value: String, _ reason: String) -> ServiceError {
        ServiceError(
            .badRequest, "InvalidQueryParameterValue",
            "Value for one of the query parameters specified in the request URI is invalid.",
            details: [
                Detail(name: "QueryParameterName", value: name), Detail(name: "QueryParameterValue", value: value),
                Detail(name: "Reason", value: reason),
            ])
    }
}
