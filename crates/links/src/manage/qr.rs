//! `GET /v1/links/links/{id}/qr`: the short address as a QR code, SVG or PNG, in two colours and with a logo in the middle.

use super::store;
use crate::{Links, error};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use foundation::{Error, Result, Uuid};
use http::{HeaderName, header};
use http_chassis::{
    auth::Caller,
    extract::{Path, Query},
    problem::Failure,
};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;
use std::fmt::Write;
use utoipa::{IntoParams, ToSchema};

/// Modules of nothing around the code, as ISO/IEC 18004 wants.
const QUIET: usize = 4;

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Svg,
    Png,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Params {
    /// `svg` (default) or `png`
    #[serde(default)]
    #[param(value_type = Option<String>)]
    format: Kind,
    /// Pixels, 64 to 2048, default 512
    size: Option<u32>,
    /// `1a2b3c`, default `000000`
    dark: Option<String>,
    /// default `ffffff`
    light: Option<String>,
    /// The address of a PNG, put in the middle; SVG takes JPEG and GIF too
    logo: Option<String>,
}

/// The link's QR code.
#[utoipa::path(get, path = "/v1/links/links/{id}/qr", tag = "links", params(("id" = Uuid, Path), Params),
    responses((status = 200, description = "image/svg+xml or image/png"), (status = 401), (status = 404), (status = 422)))]
pub async fn qr(
    State(links): State<Links>,
    who: Caller,
    Path(id): Path<Uuid>,
    Query(params): Query<Params>,
) -> Result<Response, Failure> {
    let client = links.pool.client().await?;
    let link = store::find(&client, &who, id, &links.public_url).await?;
    drop(client);
    let size = params.size.unwrap_or(512);
    if !(64..=2048).contains(&size) {
        return Err(error::invalid("size", "must be between 64 and 2048").into());
    }
    let dark = color("dark", params.dark.as_deref().unwrap_or("000000"))?;
    let light = color("light", params.light.as_deref().unwrap_or("ffffff"))?;
    let logo = match &params.logo {
        Some(url) => {
            let fetched = links
                .fetch
                .get(url)
                .await
                .map_err(|why| error::invalid("logo", format!("cannot be used: {why}")))?;
            Some(fetched.body.to_vec())
        }
        None => None,
    };
    // With a fifth of the middle covered, a third may be wrong and the code is still read.
    let level = if logo.is_some() { EcLevel::H } else { EcLevel::M };
    let code = QrCode::with_error_correction_level(link.short_url.as_bytes(), level)
        .map_err(|error| Error::internal("making a QR code", error.to_string()))?;
    let (kind, body) = match params.format {
        Kind::Svg => (
            "image/svg+xml",
            svg(&code, size, dark, light, logo.as_deref())?.into_bytes(),
        ),
        Kind::Png => ("image/png", png(&code, size, dark, light, logo.as_deref())?),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=3600"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; img-src data:"),
    ];
    Ok((headers, body).into_response())
}

fn color(field: &str, text: &str) -> Result<[u8; 3]> {
    let text = text.strip_prefix('#').unwrap_or(text);
    let part = |place: usize| {
        text.get(place..place + 2)
            .and_then(|part| u8::from_str_radix(part, 16).ok())
    };
    match (text.len(), part(0), part(2), part(4)) {
        (6, Some(red), Some(green), Some(blue)) => Ok([red, green, blue]),
        _ => Err(error::invalid(field, "is no color of the form 1a2b3c")),
    }
}

fn svg(code: &QrCode, size: u32, dark: [u8; 3], light: [u8; 3], logo: Option<&[u8]>) -> Result<String> {
    let (width, modules) = (code.width(), code.width() + 2 * QUIET);
    let mut path = String::new();
    for (place, module) in code.to_colors().into_iter().enumerate() {
        if module == Color::Dark {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", place % width + QUIET, place / width + QUIET);
        }
    }
    let hex = |[red, green, blue]: [u8; 3]| format!("#{red:02x}{green:02x}{blue:02x}");
    let image = match logo {
        Some(logo) => {
            let kind = infer(logo).ok_or_else(|| error::invalid("logo", "is no PNG, JPEG or GIF"))?;
            use base64::Engine;
            let data = base64::engine::general_purpose::STANDARD.encode(logo);
            let (start, side) = (modules as f32 * 0.4, modules as f32 * 0.2);
            format!(
                "<rect x=\"{start}\" y=\"{start}\" width=\"{side}\" height=\"{side}\" fill=\"{}\"/>\
                 <image x=\"{start}\" y=\"{start}\" width=\"{side}\" height=\"{side}\" href=\"data:{kind};base64,{data}\"/>",
                hex(light)
            )
        }
        None => String::new(),
    };
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{size}\" height=\"{size}\" viewBox=\"0 0 {modules} {modules}\" \
         shape-rendering=\"crispEdges\"><rect width=\"100%\" height=\"100%\" fill=\"{}\"/><path fill=\"{}\" d=\"{path}\"/>{image}</svg>",
        hex(light),
        hex(dark)
    ))
}

fn infer(bytes: &[u8]) -> Option<&'static str> {
    [
        (&b"\x89PNG\r\n\x1a\n"[..], "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
    ]
    .into_iter()
    .find(|(magic, _)| bytes.starts_with(magic))
    .map(|(_, kind)| kind)
}

fn png(code: &QrCode, size: u32, dark: [u8; 3], light: [u8; 3], logo: Option<&[u8]>) -> Result<Vec<u8>> {
    let (width, modules, size) = (code.width(), code.width() + 2 * QUIET, size as usize);
    let colors = code.to_colors();
    let mut pixels = Vec::with_capacity(size * size * 3);
    for y in 0..size {
        for x in 0..size {
            let inside = |at: usize| (at * modules / size).checked_sub(QUIET).filter(|at| *at < width);
            let is_dark = matches!((inside(x), inside(y)), (Some(x), Some(y)) if colors[y * width + x] == Color::Dark);
            pixels.extend_from_slice(if is_dark { &dark } else { &light });
        }
    }
    if let Some(logo) = logo {
        lay_logo(&mut pixels, size, light, logo)?;
    }
    let failed = |error: png::EncodingError| Error::internal("writing a PNG", error);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size as u32, size as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Nearest pixels: logos are small and this is a fifth of the code.
fn lay_logo(pixels: &mut [u8], size: usize, light: [u8; 3], logo: &[u8]) -> Result<()> {
    let bad = |error: png::DecodingError| error::invalid("logo", format!("is no PNG that can be read: {error}"));
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(logo), png::Limits { bytes: 32 << 20 });
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().map_err(bad)?;
    let length = reader.output_buffer_size().filter(|length| *length <= 32 << 20);
    let mut read = vec![0; length.ok_or_else(|| error::invalid("logo", "is too large"))?];
    let frame = reader.next_frame(&mut read).map_err(bad)?;
    let (wide, high, depth) = (frame.width as usize, frame.height as usize, frame.color_type.samples());
    let (start, side) = (size * 2 / 5, size / 5);
    for y in 0..side {
        for x in 0..side {
            let from = (y * high / side * wide + x * wide / side) * depth;
            let (color, alpha) = match &read[from..from + depth] {
                [grey, alpha] => ([*grey; 3], *alpha),
                [red, green, blue, alpha] => ([*red, *green, *blue], *alpha),
                _ => (light, 255),
            };
            let at = ((start + y) * size + start + x) * 3;
            for channel in 0..3 {
                let (over, under) = (u32::from(color[channel]), u32::from(light[channel]));
                let alpha = u32::from(alpha);
                pixels[at + channel] = ((over * alpha + under * (255 - alpha)) / 255) as u8;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_draw_the_same_code() {
        let code = QrCode::new(b"https://s.example/abc").unwrap();
        let drawn = svg(&code, 512, [0, 0, 0], [255, 255, 255], None).unwrap();
        let dark = code.to_colors().iter().filter(|module| **module == Color::Dark).count();
        assert_eq!(drawn.matches("h1v1h-1z").count(), dark);
        let modules = code.width() + 2 * QUIET;
        let logo = png(&code, 64, [255, 0, 0], [0, 255, 0], None).unwrap();
        let bytes = png(&code, (modules * 4) as u32, [1, 2, 3], [250, 251, 252], Some(&logo)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        // The first finder pattern begins after the quiet zone, here four modules of four pixels.
        let at = |x: usize, y: usize| &pixels[(y * modules * 4 + x) * 3..][..3];
        assert_eq!(at(0, 0), [250, 251, 252]);
        assert_eq!(at(17, 17), [1, 2, 3]);
        assert!(color("dark", "zzzzzz").is_err() && color("dark", "#1a2b3c").is_ok());
    }
}
